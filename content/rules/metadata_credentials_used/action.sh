# curl asks the metadata service for credentials, then aws asks who it is (harmless programs stand for aws).
prepare() { stand_in aws; }
act() {
    curl -s http://169.254.169.254/latest/meta-data/iam/security-credentials/web
    aws sts get-caller-identity
}
