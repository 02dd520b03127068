// Package milter is the door that hears a message to its end: it answers an MTA
// as a milter, asks a judge at DATA and at the end of the message, and renders
// what was decided: a reply, stamps removed, a stamp set.
//
// Only those two commands are replied to, as far as the MTA lets a filter choose:
// what a milter costs is the number of times that the MTA waits for it.
package milter
