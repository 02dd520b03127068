// Package maillog reads what Postfix logs about mail it delivers, follows that log as
// it is written, and counts what became of mail for listed domains: sent over a session
// that was proven, failed and why, deferred now.
package maillog
