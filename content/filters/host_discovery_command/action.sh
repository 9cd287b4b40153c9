# id, the commonest of all questions about a host.
act() { id; }
