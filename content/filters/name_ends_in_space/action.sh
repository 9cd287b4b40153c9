# A harmless program called `ls ` (with a space) is run.
prepare() { cp /bin/true '/opt/ls '; }
act() { '/opt/ls '; }
