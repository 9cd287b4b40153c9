# unshare as an ordinary user.
act() { as_ana unshare --user --map-root-user true; }
