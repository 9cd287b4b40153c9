# `curl -s http://169.254.169.254/latest/meta-data/iam/security-credentials/`, with a harmless program by the name of curl.
prepare() { stand_in curl; }
act() { curl -s http://169.254.169.254/latest/meta-data/iam/security-credentials/; }
