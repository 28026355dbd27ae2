"""EKS at the boundary: clients, observation, application of planned actions."""
