# `aws sts get-caller-identity`, with a harmless program by the name of aws.
prepare() { stand_in aws; }
act() { aws sts get-caller-identity; }
