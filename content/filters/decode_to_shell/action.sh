# A shell decodes a text and pipes it into another shell.
act() { bash -c 'echo dHJ1ZQo= | base64 -d | sh'; }
