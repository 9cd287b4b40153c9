# `aws iam create-access-key --user-name backup`, with a harmless program by the name of aws.
prepare() { stand_in aws; }
act() { aws iam create-access-key --user-name backup; }
