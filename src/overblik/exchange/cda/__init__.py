"""CDA documents of the Danish sharing service: APD, PDC, CPD, and whatever else can be read."""
