# On the fourth day ana offers a folder over the network (harmless programs stand for ldapsearch).
prepare() { stand_in ldapsearch; }
act() {
    ldapsearch -x -H ldap://127.0.0.1 '(objectClass=user)'
    days_pass 4
    as_ana python3 -m http.server 8000
}
