# A shell writes a rule.
prepare() { mkdir -p /etc/polkit-1/rules.d; }
act() { echo '// nothing' >/etc/polkit-1/rules.d/00-tidy.rules; }
