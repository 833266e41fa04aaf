"""The descriptions for other programs: JSON Schemas of what goes in and out, and the AsyncAPI document around them."""
