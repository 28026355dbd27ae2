"""A local Slack workspace and a local EKS, for trying the bot and for testing it."""
