// Package mailqueue reads Postfix's queue with postqueue(1).
package mailqueue
