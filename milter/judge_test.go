package milter

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"domain-secured/policy"
)

// recorder is a judge without rules: it does what the sender's local part says,
// and remembers what it was asked.
type recorder struct {
	mu     sync.Mutex
	heard  []string
	facts  []policy.Facts // of every Envelope
	froms  []policy.From  // of every Content
	stamps []int          // of every Content

	panics        string        // the next Attend or Leave, "attend" or "leave"
	asked, answer chan struct{} // for who is to wait: sent to when asked, closed to answer
}

const stamp = "mx.contoso.com; domain=woodgrovebank.com; auth=chain;\n  tls=TLSv1.3"

var (
	becauseReply = policy.Reply{Code: "450", Enhanced: "4.7.5", Text: "because"}
	forGoodReply = policy.Reply{Code: "550", Enhanced: "5.7.1", Text: "100% für\r\ngood"}

	because = reply("450 4.7.5 because")
	forGood = reply("550 5.7.1 100%% f??r??good")
)

func (r *recorder) hear(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard = append(r.heard, fmt.Sprintf(format, args...))
}

// all returns what was heard so far.
func (r *recorder) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.heard)
}

func wish(f *policy.Facts) string {
	local, _, _ := strings.Cut(strings.TrimPrefix(f.Sender, "<"), "@")
	return local
}

func (r *recorder) Attend() { r.come("attend") }

func (r *recorder) Leave() { r.come("leave") }

// come panics once, if it is to.
func (r *recorder) come(what string) {
	r.hear("%s", what)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.panics == what {
		r.panics = ""
		panic("as asked")
	}
}

func (r *recorder) Envelope(f *policy.Facts) policy.Verdict {
	r.hear("envelope %s %s %s %v", f.QueueID, f.Sender, f.TLSVersion, f.Client)
	r.mu.Lock()
	r.facts = append(r.facts, *f)
	r.mu.Unlock()
	switch wish(f) {
	case "refuse":
		return policy.Verdict{Action: policy.ActionTempfail, Reply: becauseReply}
	case "reject":
		return policy.Verdict{Action: policy.ActionReject, Reply: forGoodReply}
	case "test":
		return policy.Verdict{Action: policy.ActionNone, Result: policy.ResultFail, Reply: becauseReply}
	case "panic":
		panic("as asked")
	case "wait":
		r.asked <- struct{}{}
		<-r.answer
	}
	return policy.Verdict{Action: policy.ActionNone}
}

func (r *recorder) Content(f *policy.Facts, v *policy.Verdict, from *policy.From) policy.Ending {
	r.hear("content %s %s", f.QueueID, f.Sender)
	r.mu.Lock()
	r.froms, r.stamps = append(r.froms, *from), append(r.stamps, f.Stamps)
	r.mu.Unlock()
	end := policy.Ending{Verdict: *v}
	switch wish(f) {
	case "pass":
		end.Stamp = stamp
	case "keep":
		end.Keep = true
	case "late":
		end.Verdict.Action, end.Verdict.Reply = policy.ActionTempfail, becauseReply
	case "odd": // a refusal with all that must not be done with it
		end.Verdict.Action, end.Verdict.Reply, end.Stamp = policy.ActionReject, forGoodReply, stamp
	case "panicend":
		panic("as asked")
	}
	return end
}

func (r *recorder) Abandoned(f *policy.Facts, _ *policy.Verdict) {
	r.hear("abandoned %s %s", f.QueueID, f.Sender)
}
