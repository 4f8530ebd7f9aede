package web

// Limits bounds what clients may ask for. A zero field means its default.
type Limits struct {
	// Proxies are those that are believed where a request comes from.
	Proxies Proxies
	// MaxMessage is the largest message and request body in bytes. Default 1 MiB.
	MaxMessage int
	// MaxBody is the largest body with a document or operations in it in bytes, MaxImport
	// that of a document with its history. Defaults 32 MiB and 1 GiB.
	MaxBody, MaxImport int
	// MaxStreams is the most answers without a fixed length at once: events, exports.
	// Default 1,000.
	MaxStreams int
	// MaxRate is the most requests a second that one address may make under /api, with
	// twice as many at first. 0: as many as it likes.
	MaxRate int
	// MaxReceiving is how many bytes of memory there are for large WebSocket messages on their way; see
	// ws.Options. Default 256 MiB.
	MaxReceiving int
	// MaxSending is how many bytes WebSocket clients may leave untaken (see ws.Options), and how many large HTTP answers may
	// take, a quarter of them for one address. Default 1 GiB.
	MaxSending int
	// MaxConns is the most WebSocket connections. Default 100,000.
	MaxConns int
	// MaxAddressConns and MaxAddressHTTP are the most connections from one address, an IPv6 network of
	// 64 bits being one, that are WebSockets and that are not; those of Proxies are not counted among the
	// latter. 0: no bound.
	MaxAddressConns, MaxAddressHTTP int
	// MaxHeader is the largest header of a request in bytes. Default 8 KiB.
	MaxHeader int
	// MaxPage is the most entries of a list in one answer. Default 1000.
	MaxPage int
	// MaxOpen is the most documents open on one connection. Default 10,000.
	MaxOpen int
	// OpenRate and PresenceRate are how many documents a second a connection may open or read, and how
	// many presences a second it may send. 0: no bound.
	OpenRate, PresenceRate int
	// MaxConversion is how many bytes of documents are converted to or from other forms at one time.
	// Default 4 MiB.
	MaxConversion int
}

func (l Limits) withDefaults() Limits {
	def := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	def(&l.MaxMessage, 1<<20)
	def(&l.MaxHeader, 8<<10)
	def(&l.MaxOpen, 10_000)
	return l
}
