"""The two loops that keep EKS and Slack equal to the store."""
