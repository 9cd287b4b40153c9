# unshare as an ordinary user, then perl gives up root and takes it back.
act() {
    as_ana unshare --user --map-root-user true
    perl -e '$> = 1000; $> = 0'
}
