// Does a little of everything, over and over, and keeps only counts: what grows beside it is the engine's.
ruleset test.soak {
  meta {
    name "Soak"
    shares counts
  }

  global {
    counts = function() {
      {"events": ent:events.defaultsTo(0), "messages": ent:messages.defaultsTo(0), "births": ent:births.defaultsTo(0)}
    }
    endless = function(n) { endless(n + 1) }
  }

  rule count_event {
    select when soak event
    fired { ent:events := ent:events.defaultsTo(0) + 1; ent:last := event:attrs }
  }

  rule count_message {
    select when didcomm_basicmessage message
    fired { ent:messages := ent:messages.defaultsTo(0) + 1 }
  }

  rule make_child {
    select when soak child_wanted name re#(.+)# setting(name)
    fired { raise wrangler event "new_child_request" attributes {"name": name} }
  }

  rule lose_child {
    select when wrangler child_initialized
    fired {
      ent:births := ent:births.defaultsTo(0) + 1;
      raise wrangler event "child_deletion_request" attributes {"eci": event:attrs{"eci"}}
    }
  }

  rule fail {
    select when soak failure_wanted
    pre { x = endless(1) }
    fired { ent:events := x }
  }
}
