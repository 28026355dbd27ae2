"""eks-access: just-in-time access to Amazon EKS clusters from Slack."""
