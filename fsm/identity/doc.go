// Package identity knows who somebody is: users, their credentials per surface,
// sessions, KYC state and the audit trail of what they did.
//
// Secrets never arrive here: the door hashes passwords and encrypts personal
// data first. Whether a session holds is state, checked in the view a read uses
// and ahead of every command.
package identity
