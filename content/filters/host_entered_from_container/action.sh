# `nsenter -t 1 -m -u -n -i sh`, with a harmless program by the name of nsenter.
prepare() { stand_in nsenter; }
act() { nsenter -t 1 -m -u -n -i sh; }
