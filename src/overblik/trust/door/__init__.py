"""The one door to patient data: what is read, searched and written is decided and logged here."""
