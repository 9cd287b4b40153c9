# Credentials are asked of the metadata service and read from a file, then the account listed and a token made (harmless programs stand for aws).
prepare() {
    stand_in aws
    mkdir -p /home/ana/.aws && echo '[default]' >/home/ana/.aws/credentials
}
act() {
    curl -s http://169.254.169.254/latest/meta-data/iam/security-credentials/web
    cat /home/ana/.aws/credentials
    aws sts get-caller-identity
    aws iam create-access-key --user-name backup
}
