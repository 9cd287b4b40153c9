# `pip3 install --index-url http://127.0.0.1/simple tidy`
act() { pip3 install --index-url http://127.0.0.1/simple tidy; }
