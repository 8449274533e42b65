"""Workloads over HTTP against any FHIR base URL, so that a peer is measured by the same client in the same run."""
