package auth

import (
	"github.com/valyala/fasthttp"

	"quire/web/audit"
)

var kindNames = [...]string{Open: "open", Token: "token", Callback: "callback", Link: "link"}

// Who returns who it is as the audit log has it.
func (i *Identity) Who() audit.Who {
	w := audit.Who{Author: i.Author, Namespace: i.Namespace, Credential: i.ID}
	if int(i.Kind) < len(kindNames) {
		w.Kind = kindNames[i.Kind]
	}
	return w
}

// WhoSent returns who sent a request, as far as Attach was told; nobody when it was not.
func WhoSent(ctx *fasthttp.RequestCtx) audit.Who {
	if p, ok := ctx.UserValue(passKey).(*Pass); ok {
		return p.Identity().Who()
	}
	return audit.Who{}
}
