package fsm

// ActorKind says what sort of caller stands behind a request.
type ActorKind uint8

// The kinds of actor. Their numbers are part of the log.
const (
	Anonymous ActorKind = iota // nobody proved anything
	User                       // an account with a session
	Service                    // a service key
	Node                       // a node of the cluster itself, such as a leader task
	Operator                   // somebody at the admin socket
)

// Actor is who asks, verified at the edge, and from where. It is part of the
// request, so every replica and every audit row sees the same caller.
type Actor struct {
	Kind    ActorKind `cbor:"1,keyasint,omitempty"`
	ID      string    `cbor:"2,keyasint,omitempty"` // user, key or node id
	Session string    `cbor:"3,keyasint,omitempty"`
	Email   string    `cbor:"4,keyasint,omitempty"` // as the token states it
	IP      string    `cbor:"5,keyasint,omitempty"`
	Agent   string    `cbor:"6,keyasint,omitempty"` // User-Agent, at most 200 bytes; of an operator the user of the system
}
