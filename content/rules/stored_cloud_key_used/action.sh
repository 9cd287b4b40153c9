# cat opens somebody's cloud credentials, then aws (a harmless program) lists users.
prepare() {
    stand_in aws
    mkdir -p /home/ana/.aws && echo '[default]' >/home/ana/.aws/credentials
}
act() {
    cat /home/ana/.aws/credentials
    aws iam list-users
}
