# curl asks the metadata service for credentials, then aws asks who it is (harmless programs).
prepare() { stand_in curl aws; }
act() {
    curl -s http://169.254.169.254/latest/meta-data/iam/security-credentials/web
    aws sts get-caller-identity
}
