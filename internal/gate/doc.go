// Package gate answers the doors. It is where the rules (package policy) meet
// the certificates (package trust), the clock and the deadline.
//
// A question takes two steps. It is first decided, without any effect ([Gate.Explain]
// stops there), and then acted upon: escalated, remembered for the other door,
// counted and logged. Each of these duties is a file.
package gate
