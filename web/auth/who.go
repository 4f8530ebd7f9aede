package auth

import "quire/web/audit"

var kindNames = [...]string{Open: "open", Token: "token", Callback: "callback", Link: "link"}

// Who returns who it is as the audit log has it.
func (i *Identity) Who() audit.Who {
	w := audit.Who{Author: i.Author, Namespace: i.Namespace, Credential: i.ID}
	if int(i.Kind) < len(kindNames) {
		w.Kind = kindNames[i.Kind]
	}
	return w
}
