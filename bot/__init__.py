"""eks-access: just-in-time access to Amazon EKS clusters from Slack."""

__version__ = "0.1.0"
