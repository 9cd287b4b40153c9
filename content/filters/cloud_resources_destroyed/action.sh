# `aws s3 rb s3://team-data --force`, with a harmless program by the name of aws.
prepare() { stand_in aws; }
act() { aws s3 rb s3://team-data --force; }
