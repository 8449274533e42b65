"""Tests, by the layer they exercise; journeys go through HTTP or the browser."""
