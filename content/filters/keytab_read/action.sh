# xxd opens /etc/krb5.keytab, made for it.
prepare() { mkdir -p '/etc' && echo x >'/etc/krb5.keytab'; }
act() { xxd '/etc/krb5.keytab'; }
