package mailqueue

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Message is one in the queue, of "JSON OBJECT FORMAT" in postqueue(1).
type Message struct {
	Queue      string // active, corrupt, deferred, hold, incoming or maildrop
	ID         string
	Arrived    time.Time
	Recipients []Recipient
}

// Recipient is one to whom it has not been delivered.
type Recipient struct {
	Address string
	Reason  string // why it was not delivered at the last attempt, "" for none yet
}

// parse reads one line of "postqueue -j".
func parse(line []byte) (Message, error) {
	var wire struct {
		Queue      string `json:"queue_name"`
		ID         string `json:"queue_id"`
		Arrived    int64  `json:"arrival_time"`
		Recipients []struct {
			Address string `json:"address"`
			Reason  string `json:"delay_reason"`
		} `json:"recipients"`
	}
	if err := json.Unmarshal(line, &wire); err != nil {
		return Message{}, fmt.Errorf("a line of postqueue: %w", err)
	}
	if wire.Queue == "" || wire.ID == "" || wire.Arrived < 0 {
		return Message{}, errors.New("a line of postqueue has no queue_name or queue_id, or no sound arrival_time")
	}
	m := Message{Queue: wire.Queue, ID: wire.ID, Arrived: time.Unix(wire.Arrived, 0)}
	for _, r := range wire.Recipients {
		m.Recipients = append(m.Recipients, Recipient(r))
	}
	return m, nil
}
