# A shell fetches with curl and pipes what comes into sh.
act() { sh -c 'curl -s http://127.0.0.1/install | sh'; }
