-- An MTA that offers to leave nothing out: every command is replied to, and there is no harm in those that say
-- nothing.

function must(ok, what)
	if not ok then
		mt.echo(what) -- what error says is not shown
		error(what)
	end
end

-- go_on holds that a command was sent and is let go on.
function go_on(err, what)
	must(err == nil, what .. " fails")
	must(mt.getreply(conn) == SMFIR_CONTINUE, what .. " is not let go on")
end

conn = mt.connect(socket, 40, 0.05)
must(conn ~= nil, "cannot connect to " .. socket)
must(mt.negotiate(conn, version + 0, 0, SMFIF_ADDHDRS + SMFIF_CHGHDRS) == nil, "negotiation")
must(not mt.test_option(conn, SMFIP_NORCPT), "a step that was not offered")
must(not mt.test_option(conn, SMFIP_NR_MAIL), "a silence that was not offered")

go_on(mt.conninfo(conn, "localhost", "unspec"), "CONNECT")
go_on(mt.helo(conn, "mail1"), "HELO")
go_on(mt.unknown(conn, "HELP"), "an unknown command")
for i = 1, 2 do
	go_on(mt.mailfrom(conn, "<pass@x>"), "MAIL")
	go_on(mt.rcptto(conn, "<bob@contoso.com>"), "RCPT")
	go_on(mt.rcptto(conn, "<carol@contoso.com>"), "RCPT again")
	if version + 0 >= 4 then
		go_on(mt.data(conn), "DATA")
	end
	go_on(mt.header(conn, "domain-SECURED", "forged"), "a header")
	go_on(mt.eoh(conn), "the end of the header")
	go_on(mt.bodystring(conn, "hello\r\n"), "a body")
	go_on(mt.bodyrandom(conn, 100000), "a long body")
	go_on(mt.eom(conn), "the end")
	must(mt.eom_check(conn, MT_HDRDELETE, "Domain-Secured"), "a forged stamp stays")
	must(mt.eom_check(conn, MT_HDRINSERT, "Domain-Secured", stamp, 0), "there is no stamp")
end
mt.disconnect(conn)
