"""An independent brute-force oracle: it keeps every raw event and judges by definition, at every instant that matters.

It shares no code with `rules/` but the types of documents and `parse_document`. It is slow and simple on purpose: where
it and the incremental evaluator differ, one of the two has misread the contract.
"""

from tests.oracle.oracle import Change, Edit, Oracle, Outcome

__all__ = ["Change", "Edit", "Oracle", "Outcome"]
