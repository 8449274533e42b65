"""The standard: tables and properties, no database."""
