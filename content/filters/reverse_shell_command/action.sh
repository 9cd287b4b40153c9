# A shell is told to use the network device as another one's streams; nobody listens there.
act() { bash -c 'exec 3<>/dev/tcp/127.0.0.1/4444'; }
