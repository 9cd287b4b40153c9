# `ldapsearch -x -H ldap://127.0.0.1 '(objectClass=user)'`, with a harmless program by the name of ldapsearch.
prepare() { stand_in ldapsearch; }
act() { ldapsearch -x -H ldap://127.0.0.1 '(objectClass=user)'; }
