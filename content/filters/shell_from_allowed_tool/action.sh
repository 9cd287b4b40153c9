# `tar cf /dev/null x --checkpoint=1 --checkpoint-action=exec=/bin/sh`, with a harmless program by the name of tar.
prepare() { stand_in tar; }
act() { tar cf /dev/null x --checkpoint=1 --checkpoint-action=exec=/bin/sh; }
