# A shell fetches with curl and pipes what comes into sh.
prepare() { stand_in curl; }
act() { sh -c 'curl -s http://127.0.0.1/install | sh'; }
