-- Messages on one connection: with all that miltertest can offer, the milter is told of little and replies to
-- DATA and the end alone. The judge does what the sender's local part says.

function must(ok, what)
	if not ok then
		mt.echo(what) -- what error says is not shown
		error(what)
	end
end

function sent(err, what)
	must(err == nil, what .. " fails")
end

conn = mt.connect(socket, 40, 0.05)
must(conn ~= nil, "cannot connect to " .. socket)
sent(mt.negotiate(conn, 6, nil, nil), "negotiation")
must(mt.test_action(conn, SMFIF_ADDHDRS), "does not ask to add headers")
must(mt.test_action(conn, SMFIF_CHGHDRS), "does not ask to change headers")
must(not mt.test_action(conn, SMFIF_CHGBODY), "asks to change the body")
must(mt.test_option(conn, SMFIP_NORCPT), "wants recipients")
must(mt.test_option(conn, SMFIP_NOBODY), "wants the body")
must(mt.test_option(conn, SMFIP_NR_MAIL), "replies to MAIL")
must(mt.test_option(conn, SMFIP_NR_HDR), "replies to headers")
must(not mt.test_option(conn, SMFIP_NOHDRS), "does not want headers")

mt.macro(conn, SMFIC_CONNECT, "j", "mx.contoso.com", "{daemon_name}", "MTA")
sent(mt.conninfo(conn, "mail1.woodgrovebank.com", "192.0.2.7"), "CONNECT")
mt.macro(conn, SMFIC_HELO, "{tls_version}", "TLSv1.3", "{verify}", "OK", "{cn_subject}", "mail1.woodgrovebank.com")
sent(mt.helo(conn, "mail1"), "HELO")

function message(sender, queue_id, forged)
	mt.macro(conn, SMFIC_MAIL, "i", queue_id)
	sent(mt.mailfrom(conn, "<" .. sender .. ">", "BODY=8BITMIME"), "MAIL")
	sent(mt.data(conn), "DATA")
	if mt.getreply(conn) ~= SMFIR_CONTINUE then return end
	sent(mt.header(conn, "From", "<alice@woodgrovebank.com>"), "From")
	for i = 1, forged do
		sent(mt.header(conn, "Domain-Secured", "forged"), "stamp")
	end
	sent(mt.eom(conn), "the end")
end

-- It passes: forged stamps go, ours comes, on top.
message("pass@woodgrovebank.com", "q1", 2)
must(mt.getreply(conn) == SMFIR_CONTINUE, "q1 is not let through")
must(mt.eom_check(conn, MT_HDRDELETE, "Domain-Secured"), "q1 keeps a forged stamp")
must(mt.eom_check(conn, MT_HDRINSERT, "Domain-Secured", stamp, 0), "q1 has no stamp")
must(not mt.eom_check(conn, MT_HDRADD, "Domain-Secured"), "q1 has something added")
must(not mt.eom_check(conn, MT_SMTPREPLY, "450"), "q1 has a reply")

-- It is nobody's: forged stamps go, and that is all.
message("x@x", "q2", 1)
must(mt.getreply(conn) == SMFIR_CONTINUE, "q2 is not let through")
must(mt.eom_check(conn, MT_HDRDELETE, "Domain-Secured"), "q2 keeps a forged stamp")
must(not mt.eom_check(conn, MT_HDRINSERT, "Domain-Secured"), "q2 has a stamp")

-- There is nothing to remove.
message("pass@x", "q3", 0)
must(not mt.eom_check(conn, MT_HDRDELETE, "Domain-Secured"), "q3 has something removed")
must(mt.eom_check(conn, MT_HDRINSERT, "Domain-Secured"), "q3 has no stamp")

-- It is refused at the end, in exact words.
message("late@x", "q4", 1)
must(mt.getreply(conn) == SMFIR_REPLYCODE, "q4 is not refused")
must(mt.eom_check(conn, MT_SMTPREPLY, "450", "4.7.5", "because"), "q4 is refused in other words")
must(not mt.eom_check(conn, MT_HDRINSERT, "Domain-Secured"), "q4 has a stamp")

-- It is refused at DATA, and given up.
message("refuse@x", "q5", 0)
must(mt.getreply(conn) == SMFIR_REPLYCODE, "q5 is not refused at DATA")
mt.abort(conn)

-- The connection is as it was.
message("pass@x", "q6", 1)
must(mt.getreply(conn) == SMFIR_CONTINUE, "q6 is not let through")
must(mt.eom_check(conn, MT_HDRINSERT, "Domain-Secured", stamp), "q6 has no stamp")
mt.disconnect(conn)
