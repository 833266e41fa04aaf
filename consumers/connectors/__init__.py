"""How other systems are called: connectors are documents, checked like segments; a few are code."""
