"""Signing in by OpenID Connect: the providers, what their claims mean, and a provider for demo and test."""
