// Package limits names what the server bounds, and holds what bounds rates and numbers for
// many at once. docs/limits.md is the list for people.
package limits

// Name is a limit's name: the flag that sets it, the word in a refusal, and the label under
// which refusals are counted.
type Name string

// The limits, by what they bound.
const (
	// Documents and operations.
	Document   Name = "max-document"
	Operation  Name = "max-operation"
	Components Name = "max-components"
	Run        Name = "max-run"
	Namespace  Name = "max-namespace"
	Page       Name = "max-page"

	// Messages, requests and their parts.
	Message    Name = "max-message"
	Body       Name = "max-body"
	Import     Name = "max-import"
	Header     Name = "max-header"
	HeaderTime Name = "max-header-time"
	Presence   Name = "max-presence"

	// Rates.
	ClientRate   Name = "max-client-rate"
	AuthorRate   Name = "max-author-rate"
	DocumentRate Name = "max-document-rate"
	PresenceRate Name = "max-presence-rate"
	OpenRate     Name = "max-open-rate"
	RequestRate  Name = "max-rate"

	// Connections.
	Open               Name = "max-open"
	Connections        Name = "max-connections"
	AddressConnections Name = "max-address-connections"
	AddressHTTP        Name = "max-address-http"
	Streams            Name = "max-streams"

	// Memory.
	Memory     Name = "max-memory"
	CatchUp    Name = "max-catch-up"
	Receiving  Name = "max-receiving"
	Sending    Name = "max-sending"
	Conversion Name = "max-conversion"
)

// All returns every limit.
func All() []Name {
	return []Name{
		Document, Operation, Components, Run, Namespace, Page,
		Message, Body, Import, Header, HeaderTime, Presence,
		ClientRate, AuthorRate, DocumentRate, PresenceRate, OpenRate, RequestRate,
		Open, Connections, AddressConnections, AddressHTTP, Streams,
		Memory, CatchUp, Receiving, Sending, Conversion,
	}
}
