# `pip3 install --index-url http://127.0.0.1/simple tidy`, with a harmless program by the name of pip3.
prepare() { stand_in pip3; }
act() { pip3 install --index-url http://127.0.0.1/simple tidy; }
