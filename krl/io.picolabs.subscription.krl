// Subscriptions as older rulesets know them, kept on DIDComm connections: a subscription's Id and Tx are the
// connectionId, so event:send({"eci": Tx}) goes over the connection. What a peer may raise is the connection's
// policy: while pending only the handshake below, once agreed anything but the pico's own housekeeping.
ruleset io.picolabs.subscription {
  meta {
    name "Subscriptions"
    description <<Subscription bus entries over DIDComm connections>>
    author "Picomesh"
    provides established, inbound, outbound, wellKnown_Rx, autoAcceptConfig
    shares established, inbound, outbound, wellKnown_Rx, autoAcceptConfig, __testing
  }

  global {
    __testing = {
      "queries": [
        {"name": "established", "args": ["key", "value"]},
        {"name": "inbound", "args": []},
        {"name": "outbound", "args": []},
        {"name": "wellKnown_Rx", "args": []}
      ],
      "events": [
        {"domain": "wrangler", "name": "wellKnown_requested", "attrs": []},
        {"domain": "wrangler", "name": "subscription", "attrs": ["wellKnown_Tx", "Rx_role", "Tx_role", "name"]},
        {"domain": "wrangler", "name": "pending_subscription_approval", "attrs": ["Id"]},
        {"domain": "wrangler", "name": "subscription_cancellation", "attrs": ["Id"]}
      ]
    }

    handshake = "subscription:requested,subscription:approved,subscription:removed"
    agreed = "*,!wrangler:*"
    asked = "*,!io.picolabs.wrangler/*,!io.picolabs.subscription/*"
    members = function(all, key, value) {
      all.defaultsTo({}).values().filter(function(s) { key.isnull() || s{key} == value })
    }
    established = function(key, value) { members(ent:established, key, value) }
    inbound = function(key, value) { members(ent:inbound, key, value) }
    outbound = function(key, value) { members(ent:outbound, key, value) }
    wellKnown_Rx = function() { ent:wellKnown }
    autoAcceptConfig = function() { ent:auto_accept.defaultsTo({}) }
    auto_accepted = function(attrs) {
      ent:auto_accept.defaultsTo({}).keys().any(function(k) {
        ent:auto_accept{k}.any(function(pattern) { attrs{k}.defaultsTo("").as("String").match(pattern.as("RegExp")) })
      })
    }
  }

  rule make_well_known {
    select when wrangler wellKnown_requested
    if ent:wellKnown.isnull() then
      connection:invite(label = ctx:name, multi = true, events = handshake) setting(invitation)
    fired {
      ent:wellKnown := {"id": invitation{"shortUrl"}, "url": invitation{"url"}, "invitationId": invitation{"invitationId"}}
    }
  }

  rule configure_auto_accept {
    select when wrangler autoAcceptConfigUpdate
    fired {
      ent:auto_accept := event:attr("config")
    }
  }

  // ---- we ask ----------------------------------------------------------------------------------------------

  rule request {
    select when wrangler subscription wellKnown_Tx re#(.+)# setting(wellKnown_Tx)
    connection:receive(wellKnown_Tx, ctx:name) setting(made)
    fired {
      ent:asked{made{"connectionId"}} := event:attrs.delete("wellKnown_Tx");
      raise wrangler event "outbound_pending_subscription_added"
        attributes event:attrs.put({"Id": made{"connectionId"}})
    }
  }

  rule request_over_connection {
    select when connection established
    pre {
      id = event:attr("connectionId")
      attrs = ent:asked{id}
      entry = {
        "Id": id, "Tx": id, "Rx": id,
        "Tx_role": attrs{"Tx_role"}, "Rx_role": attrs{"Rx_role"}, "name": attrs{"name"}
      }
    }
    if not attrs.isnull() then every {
      connection:policy(id, handshake, "")
      connection:event(id, "subscription", "requested", attrs)
    }
    fired {
      clear ent:asked{id};
      ent:outbound{id} := entry
    }
  }

  rule approved_by_peer {
    select when subscription approved
    pre {
      id = event:attr("_connectionId")
      entry = ent:outbound{id}
    }
    if not entry.isnull() then connection:policy(id, agreed, asked)
    fired {
      clear ent:outbound{id};
      ent:established{id} := entry;
      raise wrangler event "subscription_added" attributes entry.put({"bus": entry})
    }
  }

  // ---- they ask --------------------------------------------------------------------------------------------

  rule requested_by_peer {
    select when subscription requested
    pre {
      id = event:attr("_connectionId")
      entry = {
        "Id": id, "Tx": id, "Rx": id,
        "Tx_role": event:attr("Rx_role"), "Rx_role": event:attr("Tx_role"), "name": event:attr("name")
      }
    }
    if ent:established{id}.isnull() then noop()
    fired {
      ent:inbound{id} := entry;
      raise wrangler event "inbound_pending_subscription_added" attributes event:attrs.put(entry);
      raise wrangler event "pending_subscription_approval" attributes {"Id": id} if auto_accepted(event:attrs)
    }
  }

  rule approve {
    select when wrangler pending_subscription_approval Id re#(.+)# setting(id)
    pre {
      entry = ent:inbound{id}
    }
    if not entry.isnull() then every {
      connection:policy(id, agreed, asked)
      connection:event(id, "subscription", "approved", {})
    }
    fired {
      clear ent:inbound{id};
      ent:established{id} := entry;
      raise wrangler event "subscription_added" attributes entry.put({"bus": entry})
    }
  }

  // ---- the end ---------------------------------------------------------------------------------------------

  rule cancel {
    select when wrangler subscription_cancellation Id re#(.+)# setting(id)
             or wrangler inbound_rejection Id re#(.+)# setting(id)
             or wrangler outbound_cancellation Id re#(.+)# setting(id)
    connection:event(id, "subscription", "removed", {})
    fired {
      raise wrangler event "subscription_gone" attributes {"Id": id}
    }
  }

  rule removed_by_peer {
    select when subscription removed
    fired {
      raise wrangler event "subscription_gone" attributes {"Id": event:attr("_connectionId")}
    }
  }

  rule forget {
    select when wrangler subscription_gone Id re#(.+)# setting(id)
             or connection closed connectionId re#(.+)# setting(id)
    pre {
      entry = ent:established{id} || ent:inbound{id} || ent:outbound{id}
    }
    if not entry.isnull() then noop()
    fired {
      clear ent:established{id};
      clear ent:inbound{id};
      clear ent:outbound{id};
      raise wrangler event "subscription_removed" attributes entry.put({"bus": entry})
    }
  }

  rule send_on_subscriptions {
    select when wrangler send_event_on_subs
    foreach established().filter(function(s) {
      (event:attr("subID").isnull() || s{"Id"} == event:attr("subID"))
        && (event:attr("Tx_role").isnull() || s{"Tx_role"} == event:attr("Tx_role"))
        && (event:attr("Rx_role").isnull() || s{"Rx_role"} == event:attr("Rx_role"))
    }) setting(s)
      event:send({"eci": s{"Tx"}, "domain": event:attr("domain"), "type": event:attr("type"), "attrs": event:attr("attrs")})
  }
}
